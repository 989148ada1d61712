-- Whose database this is: one row, once a server with a cluster key has started.
CREATE TABLE IF NOT EXISTS fastjob_cluster (
    id     BIGINT       NOT NULL PRIMARY KEY,      -- 1
    key_id VARCHAR(255) NOT NULL                   -- derived from the cluster key, which it does not reveal
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
