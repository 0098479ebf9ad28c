-- release_pay: a payment attempt was definitely declined; the hold has its old expiry again.
-- ARGV  1 user  2 hold id  3 attempt
-- Reply {'recovering'} {'not_found'} {'stale_attempt'} {'released'}
--#include common.lua
if recovering() then
  return { 'recovering' }
end
local user, id, attempt = ARGV[1], ARGV[2], tonumber(ARGV[3])
local now = now_ms()
local records = load_records(user)
local record = find_record(records, id)
if not record then
  return { 'not_found' }
end
if record[ATTEMPT] == attempt and record[PHASE] == HELD then
  return { 'released' }
end
if record[ATTEMPT] ~= attempt or record[PHASE] ~= PAYING then
  return { 'stale_attempt' }
end
record[PHASE] = HELD
record[EXPIRES] = record[HELD_UNTIL]
commit_change('release_pay', now, TAKEN, user, records, record)
redis.call('ZADD', EXPIRY, record[EXPIRES], user .. ' ' .. id)
return { 'released' }
