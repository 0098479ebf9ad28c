-- The last guard against selling a seat twice. Written at confirmation only, by a plain INSERT, never by an upsert:
-- a second owner of a seat must fail, not overwrite.
CREATE TABLE IF NOT EXISTS booking_tickets (
  concert_id INT UNSIGNED NOT NULL,
  booking_id BINARY(16)   NOT NULL,
  seat_index INT UNSIGNED NOT NULL,
  PRIMARY KEY (concert_id, booking_id, seat_index),
  UNIQUE KEY booking_tickets_one_owner (concert_id, seat_index),
  CONSTRAINT booking_tickets_booking FOREIGN KEY (concert_id, booking_id) REFERENCES bookings (concert_id, id),
  CONSTRAINT booking_tickets_ticket FOREIGN KEY (concert_id, seat_index) REFERENCES tickets (concert_id, seat_index)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;
