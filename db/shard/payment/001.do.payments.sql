-- One payment of one booking. A compare-and-set on `status` is the one decision about money.
-- Its id is made from the booking's id, and a charge belongs to one payment: all three unique keys are one-to-one.
CREATE TABLE IF NOT EXISTS payments (
  concert_id     INT UNSIGNED      NOT NULL,
  id             BINARY(16)        NOT NULL COMMENT 'UUIDv8 made from the booking id',
  booking_id     BINARY(16)        NOT NULL COMMENT 'belongs to booking-service: no foreign key crosses a service',
  user_id        BINARY(16)        NOT NULL,
  seats          VARBINARY(4000)   NOT NULL COMMENT 'seat indexes in ASCII, separated by commas; frozen here before the provider is called',
  amount_minor   BIGINT UNSIGNED   NOT NULL,
  currency       CHAR(3)           NOT NULL,
  payment_method VARCHAR(64)       NOT NULL COMMENT 'a token of the provider, never a card number',
  status         ENUM('pending', 'failed', 'captured', 'completed', 'refunding', 'refunded') NOT NULL,
  attempt        SMALLINT UNSIGNED NOT NULL,
  transaction_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'the provider''s id of the captured charge',
  failure_code   VARCHAR(64)       NULL,
  failure_detail VARCHAR(255)      NULL,
  payment_date   DATETIME(3)       NULL,
  created_at     DATETIME(3)       NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  updated_at     DATETIME(3)       NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
  PRIMARY KEY (concert_id, id),
  UNIQUE KEY payments_booking (concert_id, booking_id),
  UNIQUE KEY payments_transaction (concert_id, transaction_id),
  KEY payments_to_reconcile (status, updated_at),
  CONSTRAINT payments_concert_range CHECK (concert_id BETWEEN 1 AND 2147483647),
  CONSTRAINT payments_have_attempt CHECK (attempt > 0),
  CONSTRAINT payments_captured_has_charge CHECK (status IN ('pending', 'failed') OR transaction_id IS NOT NULL)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;
