-- One version of a venue's layout. A version never changes: a seat's index means the same for ever.
CREATE TABLE IF NOT EXISTS venues (
  id             VARCHAR(64)  NOT NULL,
  layout_version INT UNSIGNED NOT NULL,
  name           VARCHAR(120) NOT NULL,
  city           VARCHAR(80)  NOT NULL,
  seat_count     INT UNSIGNED NOT NULL,
  layout         MEDIUMTEXT   NOT NULL COMMENT 'the venue file as compact JSON',
  created_at     DATETIME(3)  NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  PRIMARY KEY (id, layout_version),
  CONSTRAINT venues_have_seats CHECK (seat_count > 0)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;
