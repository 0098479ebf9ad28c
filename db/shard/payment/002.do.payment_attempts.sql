-- One try to charge. The provider knows it as `<payment id>:<attempt>`.
CREATE TABLE IF NOT EXISTS payment_attempts (
  concert_id      INT UNSIGNED      NOT NULL,
  payment_id      BINARY(16)        NOT NULL,
  attempt         SMALLINT UNSIGNED NOT NULL,
  idempotency_key VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'compared byte by byte',
  request_hash    BINARY(32)        NOT NULL COMMENT 'SHA-256 of the request: the same key with another body is refused',
  payment_method  VARCHAR(64)       NOT NULL,
  hold_expires_at DATETIME(3)       NOT NULL COMMENT 'until then a charge that the provider does not know is sent again; afterwards it is voided',
  status          ENUM('pending', 'failed', 'captured', 'voided') NOT NULL,
  charge_id       VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  failure_code    VARCHAR(64)       NULL,
  failure_detail  VARCHAR(255)      NULL,
  created_at      DATETIME(3)       NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  updated_at      DATETIME(3)       NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
  PRIMARY KEY (concert_id, payment_id, attempt),
  UNIQUE KEY payment_attempts_key (concert_id, payment_id, idempotency_key),
  CONSTRAINT payment_attempts_payment FOREIGN KEY (concert_id, payment_id) REFERENCES payments (concert_id, id),
  CONSTRAINT payment_attempts_from_one CHECK (attempt > 0),
  CONSTRAINT payment_attempts_captured_has_charge CHECK (status <> 'captured' OR charge_id IS NOT NULL)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;
