-- Webhooks as they came. The primary key makes a repeated event harmless; the payload is only a doorbell.
CREATE TABLE IF NOT EXISTS webhook_events (
  concert_id   INT UNSIGNED NOT NULL,
  provider     VARCHAR(32)  NOT NULL,
  event_id     VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  type         VARCHAR(64)  NOT NULL,
  payment_id   BINARY(16)   NULL,
  attempt      SMALLINT UNSIGNED NULL COMMENT 'whose charge it is about',
  payload      TEXT         NOT NULL,
  received_at  DATETIME(3)  NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  processed_at DATETIME(3)  NULL,
  PRIMARY KEY (concert_id, provider, event_id),
  KEY webhook_events_to_process (processed_at, received_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;
