-- begin: a payment attempt begins; the hold lives on until the provider's time-out and a grace fit.
-- ARGV  1 user  2 hold id  3 attempt  4 grace ms  5 attempts that a hold may have
-- Reply {'recovering'} {'not_found'} {'already_paid'} {'hold_expired'} {'stale_attempt'} {'payment_attempts_exhausted'}
--       {'begun', expires, total, seats}
--#include common.lua
if recovering() then
  return { 'recovering' }
end
local user, id, attempt = ARGV[1], ARGV[2], tonumber(ARGV[3])
local grace_ms, attempts_max = tonumber(ARGV[4]), tonumber(ARGV[5])
local now = now_ms()
local records = load_records(user)
local record = find_record(records, id)
if not record then
  return { 'not_found' }
end
if record[PHASE] == SOLD then
  return { 'already_paid' }
end
if not is_live(record) then
  return { 'hold_expired' }
end
if record[PHASE] == PAYING and attempt == record[ATTEMPT] then
  return { 'begun', record[EXPIRES], record[TOTAL], record[SEAT_LIST] }
end
if attempt <= record[ATTEMPT] then
  return { 'stale_attempt' }
end
if record[EXPIRES] <= now then
  return { 'hold_expired' }
end
if attempt > attempts_max then
  return { 'payment_attempts_exhausted' }
end
record[PHASE] = PAYING
record[ATTEMPT] = attempt
record[EXPIRES] = math.max(record[EXPIRES], now + grace_ms)
commit_change('begin', now, TAKEN, user, records, record)
redis.call('ZADD', EXPIRY, record[EXPIRES], user .. ' ' .. id)
return { 'begun', record[EXPIRES], record[TOTAL], record[SEAT_LIST] }
