-- hold: claims seats for a batch of requests, each all of its seats or none. First everything is decided, each request
-- seeing what those before it were given; then it is written.
-- ARGV  1 idempotency window ms  2 resend window ms  3 records a fan may have
--       then for each request: hold id, user, keyed (0|1), total, seat count, seats "3,4,5" ascending
-- Reply {'recovering'} or {'done', answer, …}, an answer a request, in order:
--       {'held', n, expires, total} {'resent', n = 0, expires, total} {'hold_ended'} {'idempotency_key_reused'}
--       {'sale_not_open', opens} {'sale_paused'} {'sale_closed'} {'seat_limit_reached', live seats}
--       {'rate_limited', free again at} {'seats_taken', seat, …}
--#include common.lua
if recovering() then
  return { 'recovering' }
end
local records_max = tonumber(ARGV[3])
local now = now_ms()
local meta = redis.call('HMGET', META, 'epoch', 'opens_ms', 'closes_ms', 'override', 'ttl_ms', 'seats_per_user_max')
local epoch, opens, closes, override = meta[1], tonumber(meta[2]), tonumber(meta[3]), meta[4]
local expires, seats_per_user_max = now + tonumber(meta[5]), tonumber(meta[6])

-- Reading: every fan of the batch in one command, and from a few requests on every seat too, because a command from Lua costs
-- about a microsecond whatever it does.
local whole_map_from = 8
local users = {}
for index = 5, #ARGV, 6 do
  users[#users + 1] = ARGV[index]
end
local packed = redis.call('HMGET', FANS, unpack(users))
local packed_of, records_of = {}, {}
for index = 1, #users do
  packed_of[users[index]] = packed[index]
end
local states = #users >= whole_map_from and redis.call('GET', SEATS) or nil
local free_byte = string.byte(FREE)

local function records_before(user)
  local records = records_of[user]
  if not records then
    records = packed_of[user] and cmsgpack.unpack(packed_of[user]) or {}
    records_of[user] = records
  end
  return records
end

-- Deciding. `given` has the seats that requests of this batch got.
local given, granted = {}, {}

local function is_free(seat)
  if given[seat] then
    return false
  end
  if states then
    return string.byte(states, seat + 1) == free_byte
  end
  return redis.call('GETRANGE', SEATS, seat, seat) == FREE
end

local function answer_resend(record, seat_list)
  if record[SEAT_LIST] ~= seat_list then
    return { 'idempotency_key_reused' }
  end
  if not is_live(record) then
    return { 'hold_ended' }
  end
  return { 'resent', 0, record[EXPIRES], record[TOTAL] }
end

local function refuse_sale()
  if override == 'closed' or now >= closes then
    return { 'sale_closed' }
  end
  if override == 'paused' then
    return { 'sale_paused' }
  end
  if now < opens then
    return { 'sale_not_open', opens }
  end
  return nil
end

local function refuse_limits(records, seat_count)
  local live, free_again = 0, nil
  for index = 1, #records do
    local record = records[index]
    if is_live(record) then
      live = live + record[SEAT_COUNT]
    elseif free_again == nil or record[KEEP_UNTIL] < free_again then
      free_again = record[KEEP_UNTIL]
    end
  end
  --[[guard:seat_limit]]
  if live + seat_count > seats_per_user_max then
    return { 'seat_limit_reached', live }
  end
  --[[/guard]]
  if #records >= records_max then
    return { 'rate_limited', free_again or closes }
  end
  return nil
end

local function refuse_taken(seats)
  --[[guard:seats_free]]
  local taken = {}
  for index = 1, #seats do
    if not is_free(seats[index]) then
      taken[#taken + 1] = seats[index]
    end
  end
  if #taken > 0 then
    return { 'seats_taken', unpack(taken) }
  end
  --[[/guard]]
  return nil
end

local function decide(id, user, keyed, total, seat_count, seat_list)
  local all = records_before(user)
  local known = find_record(all, id)
  if known and (is_live(known) or known[KEEP_UNTIL] > now) then
    return answer_resend(known, seat_list)
  end
  local records = kept_records(all, now)
  local seats = {}
  for seat in string.gmatch(seat_list, '%d+') do
    seats[#seats + 1] = tonumber(seat)
  end
  local refusal = refuse_sale() or refuse_limits(records, seat_count) or refuse_taken(seats)
  if refusal then
    return refusal
  end
  for index = 1, #seats do
    given[seats[index]] = true
  end
  local record = { id, HELD, seat_list, seat_count, total, expires, expires, 0, keyed, now, 0 }
  records[#records + 1] = record
  records_of[user] = records
  local answer = { 'held', 0, expires, total }
  granted[#granted + 1] = { user, record, answer }
  return answer
end

local reply = { 'done' }
for index = 4, #ARGV, 6 do
  reply[#reply + 1] = decide(
    ARGV[index], ARGV[index + 1], tonumber(ARGV[index + 2]), tonumber(ARGV[index + 3]),
    tonumber(ARGV[index + 4]), ARGV[index + 5]
  )
end
if #granted == 0 then
  return reply
end

-- Writing. The log first: only its first entry can fail, and then nothing is written.
local now_text, expires_text = whole(now), whole(expires)
local lines, due, fans = {}, {}, {}
for index = 1, #granted do
  local user, record, answer = unpack(granted[index])
  -- encode_change for a new hold, with the numbers that the batch shares made into text once.
  local change = 'hold|' .. now_text .. '|' .. TAKEN .. '|' .. record[ID] .. '|' .. user .. '|held|' .. whole(record[TOTAL])
    .. '|' .. expires_text .. '|' .. expires_text .. '|0|' .. record[KEYED] .. '|' .. now_text .. '|' .. record[SEAT_LIST]
  local log_id, line = append(epoch, change)
  answer[2] = tonumber(string.sub(log_id, #epoch + 2))
  set_seats(record[SEAT_LIST], record[SEAT_COUNT], TAKEN)
  lines[index] = line
  due[index] = user .. ' ' .. record[ID]
  if records_of[user] then
    fans[#fans + 1] = user
    fans[#fans + 1] = cmsgpack.pack(records_of[user])
    records_of[user] = nil
  end
end
redis.call('HSET', FANS, unpack(fans))
redis.call('ZADD', EXPIRY, expires, table.concat(due, ' '))
redis.call('SPUBLISH', LIVE, table.concat(lines, '\n'))
return reply
