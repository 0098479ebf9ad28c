-- settle: money for a booking was captured. Its own seats are sold; those of an ended or unknown hold only if all are free.
-- The answer is recorded: asking again gives the same.
-- ARGV  1 user  2 hold id  3 total  4 seat count  5 seats "3,4,5"  6 idempotency window ms
-- Reply {'recovering'} {'sold'} {'lost'}
--#include common.lua
if recovering() then
  return { 'recovering' }
end
local user, id, total, seat_count, seat_list = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local window_ms = tonumber(ARGV[6])
local now = now_ms()
local records = load_records(user)
local record = find_record(records, id)
if record and record[PHASE] == SOLD and record[SEAT_LIST] == seat_list then
  return { 'sold' }
end
if record and (record[PHASE] == LOST or record[SEAT_LIST] ~= seat_list) then
  return { 'lost' }
end
local owned = record and is_live(record)
if not record then
  record = { id, ENDED, seat_list, seat_count, total, now, now, 0, 0, now, 0 }
  records[#records + 1] = record
end
record[TOTAL] = total
--[[guard:settle_seats_free]]
if not owned and #taken_seats(seat_list, seat_count) > 0 then
  record[PHASE] = LOST
  record[KEEP_UNTIL] = now + window_ms
  commit_change('settle', now, UNTOUCHED, user, records, record)
  return { 'lost' }
end
--[[/guard]]
record[PHASE] = SOLD
record[KEEP_UNTIL] = 0
commit_change('settle', now, SOLD_SEAT, user, records, record)
return { 'sold' }
