-- snapshot: the state of every seat and the id of the last change in it, in one moment.
-- Reply {'recovering'} or {'snapshot', seats, epoch, n, layout version, opens ms, closes ms, override, hold time ms, seats per user}
--#include common.lua
if recovering() then
  return { 'recovering' }
end
local info = redis.call('XINFO', 'STREAM', LOG)
local last_id = '0-0'
for index = 1, #info, 2 do
  if info[index] == 'last-generated-id' then
    last_id = info[index + 1]
  end
end
local epoch, n = string.match(last_id, '^(%d+)%-(%d+)$')
local meta = redis.call('HMGET', META, 'layout_version', 'opens_ms', 'closes_ms', 'override', 'ttl_ms', 'seats_per_user_max')
return {
  'snapshot', redis.call('GET', SEATS), tonumber(epoch), tonumber(n), tonumber(meta[1]), tonumber(meta[2]),
  tonumber(meta[3]), meta[4], tonumber(meta[5]), tonumber(meta[6]),
}
