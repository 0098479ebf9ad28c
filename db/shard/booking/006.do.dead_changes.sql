-- Changes of the log that could not be stored. Written in the transaction that moves the cursor past them, so none is lost.
CREATE TABLE IF NOT EXISTS dead_changes (
  concert_id   INT UNSIGNED    NOT NULL,
  change_epoch INT UNSIGNED    NOT NULL,
  change_n     BIGINT UNSIGNED NOT NULL,
  booking_id   BINARY(16)      NULL,
  kind         VARCHAR(16)     NOT NULL,
  reason       VARCHAR(64)     NOT NULL,
  detail       VARCHAR(500)    NOT NULL,
  payload      TEXT            NOT NULL COMMENT 'the log entry as JSON, for a replay',
  created_at   DATETIME(3)     NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  replayed_at  DATETIME(3)     NULL,
  PRIMARY KEY (concert_id, change_epoch, change_n),
  KEY dead_changes_by_booking (concert_id, booking_id),
  CONSTRAINT dead_changes_concert FOREIGN KEY (concert_id) REFERENCES concerts (concert_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;
