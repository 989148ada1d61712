-- Whose database this is: one row, once a server with a cluster key has started.
CREATE TABLE fastjob_cluster (
    id     BIGINT NOT NULL PRIMARY KEY,            -- 1
    key_id TEXT   NOT NULL                         -- derived from the cluster key, which it does not reveal
);
