-- release: the fan lets a hold go; its seats are free at once.
-- ARGV  1 user  2 hold id  3 idempotency window ms  4 resend window ms
-- Reply {'recovering'} {'not_found'} {'payment_pending'} {'already_paid'} {'released'}
--#include common.lua
if recovering() then
  return { 'recovering' }
end
local user, id, window_ms, resend_ms = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local now = now_ms()
local records = load_records(user)
local record = find_record(records, id)
if not record then
  return { 'not_found' }
end
if record[PHASE] == PAYING then
  return { 'payment_pending' }
end
if record[PHASE] == SOLD then
  return { 'already_paid' }
end
if not is_live(record) then
  return { 'released' }
end
record[PHASE] = ENDED
record[KEEP_UNTIL] = keep_until(record, now, window_ms, resend_ms)
commit_change('release', now, FREE, user, records, record)
return { 'released' }
