-- Money on its way back. The provider knows it as `refund:<payment id>:<n>`, so a repeated call pays once.
CREATE TABLE IF NOT EXISTS refunds (
  concert_id         INT UNSIGNED      NOT NULL,
  payment_id         BINARY(16)        NOT NULL,
  n                  SMALLINT UNSIGNED NOT NULL COMMENT 'the attempt whose charge goes back: so no charge is ever refunded twice',
  charge_id          VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  amount_minor       BIGINT UNSIGNED   NOT NULL,
  status             ENUM('pending', 'done') NOT NULL,
  provider_refund_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  reason             VARCHAR(32)       NOT NULL,
  created_at         DATETIME(3)       NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  updated_at         DATETIME(3)       NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
  PRIMARY KEY (concert_id, payment_id, n),
  CONSTRAINT refunds_payment FOREIGN KEY (concert_id, payment_id) REFERENCES payments (concert_id, id),
  CONSTRAINT refunds_done_has_proof CHECK (status = 'pending' OR provider_refund_id IS NOT NULL)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;
