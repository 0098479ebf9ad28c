-- Finds a fan's bookings. Stands on the shard of the USER, so it has no foreign key to a booking on another shard.
CREATE TABLE IF NOT EXISTS user_bookings (
  user_id    BINARY(16)   NOT NULL,
  booking_id BINARY(16)   NOT NULL,
  concert_id INT UNSIGNED NOT NULL,
  created_at DATETIME(3)  NOT NULL,
  PRIMARY KEY (user_id, booking_id),
  KEY user_bookings_by_time (user_id, created_at, booking_id),
  KEY user_bookings_by_concert (concert_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;
