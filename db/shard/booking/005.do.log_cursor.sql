-- How far the concert's log is stored. Compared and set in the transaction that writes the rows, so a repeated or a
-- stalled job changes nothing.
CREATE TABLE IF NOT EXISTS log_cursor (
  concert_id INT UNSIGNED NOT NULL,
  epoch      INT UNSIGNED NOT NULL COMMENT 'raised by every recovery',
  last_epoch INT UNSIGNED NOT NULL,
  last_n     BIGINT       NOT NULL COMMENT 'reading goes on after (last_epoch, last_n); -1: nothing of that epoch is stored',
  updated_at DATETIME(3)  NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
  PRIMARY KEY (concert_id),
  CONSTRAINT log_cursor_concert FOREIGN KEY (concert_id) REFERENCES concerts (concert_id),
  CONSTRAINT log_cursor_not_ahead CHECK (last_epoch <= epoch AND last_n >= -1)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;
