-- restore: builds a concert's keys anew from the database, in stages, because a stadium does not fit in one call.
-- Between `start` and `open` the concert has no run_id, so every other script answers `recovering`. A newer restore, or
-- another life of the server, makes the rest of this one stale.
-- ARGV  1 stage  2 epoch, then by stage:
--       start: 3 seats
--       holds: for each record: user, hold id, phase, seat count, seats, total, expires, held until, attempt, keyed, created, keep until
--       open:  3 layout version  4 opens ms  5 closes ms  6 override  7 hold time ms  8 seats per user
-- Reply {'done'} {'stale_epoch'}
--#include common.lua
local stage, epoch = ARGV[1], ARGV[2]
local life = run_id()
local PHASES = { held = HELD, paying = PAYING, sold = SOLD, ended = ENDED, lost = LOST }

if stage == 'start' then
  local known = tonumber(redis.call('HGET', META, 'epoch') or '0')
  if known >= tonumber(epoch) then
    return { 'stale_epoch' }
  end
  redis.call('DEL', SEATS, FANS, EXPIRY, LOG, META)
  redis.call('HSET', META, 'epoch', epoch, 'restoring', life)
  redis.call('SET', SEATS, ARGV[3])
  return { 'done' }
end

local meta = redis.call('HMGET', META, 'epoch', 'restoring')
if meta[1] ~= epoch or meta[2] ~= life then
  return { 'stale_epoch' }
end

if stage == 'holds' then
  for index = 3, #ARGV, 12 do
    local user, phase = ARGV[index], PHASES[ARGV[index + 2]]
    local records = load_records(user)
    records[#records + 1] = {
      ARGV[index + 1], phase, ARGV[index + 4], tonumber(ARGV[index + 3]), tonumber(ARGV[index + 5]),
      tonumber(ARGV[index + 6]), tonumber(ARGV[index + 7]), tonumber(ARGV[index + 8]), tonumber(ARGV[index + 9]),
      tonumber(ARGV[index + 10]), tonumber(ARGV[index + 11]),
    }
    save_records(user, records)
    if phase == HELD or phase == PAYING then
      redis.call('ZADD', EXPIRY, ARGV[index + 6], user .. ' ' .. ARGV[index + 1])
    end
  end
  return { 'done' }
end

local _, line = append(epoch, 'restored|' .. whole(now_ms()))
redis.call(
  'HSET', META, 'layout_version', ARGV[3], 'opens_ms', ARGV[4], 'closes_ms', ARGV[5], 'override', ARGV[6],
  'ttl_ms', ARGV[7], 'seats_per_user_max', ARGV[8], 'run_id', life
)
redis.call('HDEL', META, 'restoring')
redis.call('SPUBLISH', LIVE, line)
return { 'done' }
