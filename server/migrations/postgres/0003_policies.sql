-- Runs of jittered jobs say by how much they are put off.

ALTER TABLE fastjob_run ADD COLUMN jitter_ms BIGINT; -- from the tick to when the run was first due; null: 0
