-- cancel: the booking's money goes back, or went back. Whatever the hold was, it is lost for good: a delayed `settle` of the
-- same payment must not take the seats again.
-- ARGV  1 user  2 hold id  3 total  4 seat count  5 seats "3,4,5"  6 idempotency window ms
--       7 keep (0|1): 1 leaves the seats as they are, because the database says that somebody else owns them
-- Reply {'recovering'} {'cancelled'}
--#include common.lua
if recovering() then
  return { 'recovering' }
end
local user, id, total, seat_count, seat_list = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local window_ms, keep = tonumber(ARGV[6]), ARGV[7] == '1'
local now = now_ms()
local records = load_records(user)
local record = find_record(records, id)
if record and record[PHASE] == LOST then
  return { 'cancelled' }
end
local seat_state = FREE
if keep or not record or not is_live(record) then
  seat_state = UNTOUCHED
end
if not record then
  record = { id, LOST, seat_list, seat_count, total, now, now, 0, 0, now, 0 }
  records[#records + 1] = record
end
record[PHASE] = LOST
record[KEEP_UNTIL] = now + window_ms
commit_change('cancel', now, seat_state, user, records, record)
return { 'cancelled' }
