-- find: one hold of one fan.
-- ARGV  1 user  2 hold id
-- Reply {'recovering'} {'not_found'} {'found', phase, seats, total, expires, held until, attempt, keyed, created}
--#include common.lua
if recovering() then
  return { 'recovering' }
end
local record = find_record(load_records(ARGV[1]), ARGV[2])
if not record then
  return { 'not_found' }
end
return {
  'found', PHASE_NAMES[record[PHASE]], record[SEAT_LIST], record[TOTAL], record[EXPIRES], record[HELD_UNTIL],
  record[ATTEMPT], record[KEYED], record[CREATED],
}
