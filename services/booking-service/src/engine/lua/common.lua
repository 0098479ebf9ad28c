-- What every script starts with.
-- KEYS  1 {id}:seats   string, one byte a seat: 0 free, 1 held, 2 sold, 3 blocked
--       2 {id}:fans    hash: user -> cmsgpack array of records
--       3 {id}:expiry  sorted set: "<user> <hold> <user> <hold> …" by expiry in ms, one member a batch
--       4 {id}:log     stream, ids <epoch>-<n>, field `c`: one change as text (encode_change)
--       5 {id}:meta    hash, see META
--       6 {id}:live    sharded channel: what was added to the log, one `<epoch>-<n>|<change>` a line
--#include clock.lua
local SEATS, FANS, EXPIRY, LOG, META, LIVE = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local FREE, TAKEN, SOLD_SEAT, UNTOUCHED = '0', '1', '2', '-'

-- A record is an array: these are its places. Times are milliseconds, money is minor units.
local ID, PHASE, SEAT_LIST, SEAT_COUNT, TOTAL, EXPIRES, HELD_UNTIL, ATTEMPT, KEYED, CREATED, KEEP_UNTIL =
  1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
local HELD, PAYING, SOLD, ENDED, LOST = 1, 2, 3, 4, 5
local PHASE_NAMES = { 'held', 'paying', 'sold', 'ended', 'lost' }

local function run_id()
  return string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
end

-- True when this server has not the life that the concert's state was opened in: nothing may be read or written.
local function recovering()
  return redis.call('HGET', META, 'run_id') ~= run_id()
end

local function whole(number)
  return string.format('%.0f', number)
end

local function load_records(user)
  local packed = redis.call('HGET', FANS, user)
  if packed then
    return cmsgpack.unpack(packed)
  end
  return {}
end

local function find_record(records, id)
  for index = 1, #records do
    if records[index][ID] == id then
      return records[index]
    end
  end
  return nil
end

local function is_live(record)
  return record[PHASE] <= SOLD
end

-- Without the tombstones whose time is over.
local function kept_records(records, now)
  local kept = {}
  for index = 1, #records do
    local record = records[index]
    if is_live(record) or record[KEEP_UNTIL] > now then
      kept[#kept + 1] = record
    end
  end
  return kept
end

local function save_records(user, records)
  redis.call('HSET', FANS, user, cmsgpack.pack(records))
end

-- The order of the fields is the contract of contracts/change.ts.
local function encode_change(kind, now, seat_state, user, record)
  return table.concat({
    kind, whole(now), seat_state, record[ID], user, PHASE_NAMES[record[PHASE]], whole(record[TOTAL]),
    whole(record[EXPIRES]), whole(record[HELD_UNTIL]), whole(record[ATTEMPT]), whole(record[KEYED]),
    whole(record[CREATED]), record[SEAT_LIST],
  }, '|')
end

-- The first write of a change. Fails, before anything is written, when the epoch is stale.
local function append(epoch, change)
  local id = redis.call('XADD', LOG, epoch .. '-*', 'c', change)
  return id, id .. '|' .. change
end

-- First and last seat when the seats are neighbours, which most holds are: one command then does for all of them.
local function neighbours(seat_list, seat_count)
  local first, last = tonumber(string.match(seat_list, '^%d+')), tonumber(string.match(seat_list, '%d+$'))
  if last - first + 1 == seat_count then
    return first, last
  end
  return nil
end

local function set_seats(seat_list, seat_count, state)
  local first = neighbours(seat_list, seat_count)
  if first then
    redis.call('SETRANGE', SEATS, first, string.rep(state, seat_count))
    return
  end
  for seat in string.gmatch(seat_list, '%d+') do
    redis.call('SETRANGE', SEATS, seat, state)
  end
end

-- The seats of the list that are not free, in its order.
local function taken_seats(seat_list, seat_count)
  local first, last = neighbours(seat_list, seat_count)
  if first and redis.call('GETRANGE', SEATS, first, last) == string.rep(FREE, seat_count) then
    return {}
  end
  local taken = {}
  for seat in string.gmatch(seat_list, '%d+') do
    if redis.call('GETRANGE', SEATS, seat, seat) ~= FREE then
      taken[#taken + 1] = tonumber(seat)
    end
  end
  return taken
end

-- How long an ended record must be remembered: a key's whole window, and as long when a payment may still be open.
local function keep_until(record, now, window_ms, resend_ms)
  if record[KEYED] == 1 or record[ATTEMPT] > 0 then
    return now + window_ms
  end
  return now + resend_ms
end

-- One change of one booking: log, seats, records, live, in this order.
local function commit_change(kind, now, seat_state, user, records, record)
  local epoch = redis.call('HGET', META, 'epoch')
  local _, line = append(epoch, encode_change(kind, now, seat_state, user, record))
  if seat_state ~= UNTOUCHED then
    set_seats(record[SEAT_LIST], record[SEAT_COUNT], seat_state)
  end
  save_records(user, kept_records(records, now))
  redis.call('SPUBLISH', LIVE, line)
end
