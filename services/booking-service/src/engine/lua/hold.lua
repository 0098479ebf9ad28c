-- hold: claims seats for a batch of requests, each all of its seats or none.
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
local lines, due = {}, {}

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

local function refuse_taken(seat_list, seat_count)
  --[[guard:seats_free]]
  local taken = taken_seats(seat_list, seat_count)
  if #taken > 0 then
    return { 'seats_taken', unpack(taken) }
  end
  --[[/guard]]
  return nil
end

-- encode_change for a new hold: the numbers that the whole batch shares are made into text once.
local now_text, expires_text = whole(now), whole(expires)
local function encode_hold(id, user, keyed, total, seat_list)
  return 'hold|' .. now_text .. '|' .. TAKEN .. '|' .. id .. '|' .. user .. '|held|' .. whole(total) .. '|' .. expires_text
    .. '|' .. expires_text .. '|0|' .. keyed .. '|' .. now_text .. '|' .. seat_list
end

local function hold(id, user, keyed, total, seat_count, seat_list)
  local all = load_records(user)
  local known = find_record(all, id)
  if known and (is_live(known) or known[KEEP_UNTIL] > now) then
    return answer_resend(known, seat_list)
  end
  local records = kept_records(all, now)
  local refusal = refuse_sale() or refuse_limits(records, seat_count) or refuse_taken(seat_list, seat_count)
  if refusal then
    return refusal
  end
  local record = { id, HELD, seat_list, seat_count, total, expires, expires, 0, keyed, now, 0 }
  local log_id, line = append(epoch, encode_hold(id, user, keyed, total, seat_list))
  set_seats(seat_list, seat_count, TAKEN)
  records[#records + 1] = record
  save_records(user, records)
  lines[#lines + 1] = line
  due[#due + 1] = user .. ' ' .. id
  return { 'held', tonumber(string.sub(log_id, #epoch + 2)), expires, total }
end

local reply = { 'done' }
for index = 4, #ARGV, 6 do
  reply[#reply + 1] = hold(
    ARGV[index], ARGV[index + 1], tonumber(ARGV[index + 2]), tonumber(ARGV[index + 3]),
    tonumber(ARGV[index + 4]), ARGV[index + 5]
  )
end
if #lines > 0 then
  redis.call('ZADD', EXPIRY, expires, table.concat(due, ' '))
  redis.call('SPUBLISH', LIVE, table.concat(lines, '\n'))
end
return reply
