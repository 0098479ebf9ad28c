-- One account. Owner: user-service. Nobody else reads this table; other services know only the id in a token.
CREATE TABLE IF NOT EXISTS users (
  id            BINARY(16)   NOT NULL COMMENT 'UUIDv7',
  username      VARCHAR(32)  NOT NULL,
  email         VARCHAR(254) NOT NULL,
  password_hash VARCHAR(72)  NOT NULL COMMENT 'bcrypt',
  role          ENUM('fan', 'organiser', 'admin') NOT NULL DEFAULT 'fan',
  created_at    DATETIME(3)  NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  updated_at    DATETIME(3)  NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
  PRIMARY KEY (id),
  UNIQUE KEY users_username (username),
  UNIQUE KEY users_email (email)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;
