-- A hold and the booking it becomes, under one id. `status` is what the outside sees, `phase` is what the engine knows.
CREATE TABLE IF NOT EXISTS bookings (
  concert_id         INT UNSIGNED      NOT NULL,
  id                 BINARY(16)        NOT NULL COMMENT 'UUIDv8, the same as the id of the hold',
  user_id            BINARY(16)        NOT NULL,
  status             ENUM('pending', 'confirmed', 'cancelled') NOT NULL,
  phase              ENUM('held', 'paying', 'sold', 'ended', 'lost') NOT NULL,
  seats              VARBINARY(4000)   NOT NULL COMMENT 'seat indexes in ASCII, separated by commas',
  seat_count         SMALLINT UNSIGNED NOT NULL,
  total_amount_minor BIGINT UNSIGNED   NOT NULL,
  currency           CHAR(3)           NOT NULL,
  attempt            SMALLINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'number of the last payment attempt; 0: none yet',
  keyed              BOOLEAN           NOT NULL COMMENT 'the id was made from an Idempotency-Key',
  expires_at         DATETIME(3)       NOT NULL,
  held_until         DATETIME(3)       NOT NULL COMMENT 'the expiry before a payment extended it',
  booking_date       DATETIME(3)       NOT NULL,
  ended_at           DATETIME(3)       NULL,
  version            BIGINT UNSIGNED   NOT NULL COMMENT 'as in tickets',
  PRIMARY KEY (concert_id, id),
  KEY bookings_by_status (concert_id, status),
  KEY bookings_by_end (concert_id, ended_at),
  CONSTRAINT bookings_concert FOREIGN KEY (concert_id) REFERENCES concerts (concert_id),
  CONSTRAINT bookings_have_seats CHECK (seat_count > 0 AND OCTET_LENGTH(seats) > 0),
  CONSTRAINT bookings_phase_and_status CHECK (
    (status = 'pending' AND phase IN ('held', 'paying'))
    OR (status = 'confirmed' AND phase = 'sold')
    OR (status = 'cancelled' AND phase IN ('ended', 'lost'))
  )
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;
