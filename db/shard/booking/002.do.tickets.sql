-- One seat of one concert. The label is one-to-one with the index, so the second unique key cannot catch an upsert
-- that the primary key would not have caught.
CREATE TABLE IF NOT EXISTS tickets (
  concert_id  INT UNSIGNED    NOT NULL,
  seat_index  INT UNSIGNED    NOT NULL COMMENT 'dense, 0..seats-1, in the order of the venue file',
  seat_number VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'the label, such as A-12-7',
  status      ENUM('available', 'booked', 'sold', 'blocked') NOT NULL,
  price_minor BIGINT UNSIGNED NOT NULL,
  version     BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'epoch * 2^32 + n of the change that wrote this row; an older change does nothing',
  PRIMARY KEY (concert_id, seat_index),
  UNIQUE KEY tickets_seat_number (concert_id, seat_number),
  CONSTRAINT tickets_concert FOREIGN KEY (concert_id) REFERENCES concerts (concert_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;
