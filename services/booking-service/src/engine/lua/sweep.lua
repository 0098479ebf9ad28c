-- sweep: ends the holds whose time is over, oldest first, a bounded number in one call.
-- ARGV  1 expiry members at most  2 idempotency window ms  3 resend window ms
-- Reply {'recovering'} or {'swept', ended, next expiry in ms or -1, now}
--#include common.lua
if recovering() then
  return { 'recovering' }
end
local members_max, window_ms, resend_ms = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local now = now_ms()
local epoch = redis.call('HGET', META, 'epoch')
local lines = {}

local function sweep_hold(user, id)
  local records = load_records(user)
  local record = find_record(records, id)
  -- A payment may have moved the expiry, or the hold has ended already.
  if not record or record[PHASE] > PAYING or record[EXPIRES] > now then
    return
  end
  record[PHASE] = ENDED
  record[KEEP_UNTIL] = keep_until(record, now, window_ms, resend_ms)
  local _, line = append(epoch, encode_change('sweep', now, FREE, user, record))
  set_seats(record[SEAT_LIST], record[SEAT_COUNT], FREE)
  save_records(user, kept_records(records, now))
  lines[#lines + 1] = line
end

local due = redis.call('ZRANGEBYSCORE', EXPIRY, '-inf', now, 'LIMIT', 0, members_max)
for index = 1, #due do
  for user, id in string.gmatch(due[index], '(%S+) (%S+)') do
    sweep_hold(user, id)
  end
  redis.call('ZREM', EXPIRY, due[index])
end
if #lines > 0 then
  redis.call('SPUBLISH', LIVE, table.concat(lines, '\n'))
end
local next_due = redis.call('ZRANGE', EXPIRY, 0, 0, 'WITHSCORES')
return { 'swept', #lines, tonumber(next_due[2]) or -1, now }
