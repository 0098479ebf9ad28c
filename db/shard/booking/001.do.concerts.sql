-- A concert as its shard knows it: what the rows below belong to.
CREATE TABLE IF NOT EXISTS concerts (
  concert_id        INT UNSIGNED    NOT NULL,
  total_tickets     INT UNSIGNED    NOT NULL,
  available_tickets INT UNSIGNED    NOT NULL COMMENT 'as of log_cursor; the live number comes from Redis',
  price_from_minor  BIGINT UNSIGNED NOT NULL,
  currency          CHAR(3)         NOT NULL,
  layout_version    INT UNSIGNED    NOT NULL,
  created_at        DATETIME(3)     NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  updated_at        DATETIME(3)     NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
  PRIMARY KEY (concert_id),
  CONSTRAINT concerts_id_range CHECK (concert_id BETWEEN 1 AND 2147483647),
  CONSTRAINT concerts_available CHECK (available_tickets <= total_tickets)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;
