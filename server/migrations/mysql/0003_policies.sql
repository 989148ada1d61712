-- Runs of jittered jobs say by how much they are put off.

SET @lacks = (SELECT count(*) = 0 FROM information_schema.columns
              WHERE table_schema = database() AND table_name = 'fastjob_run' AND column_name = 'jitter_ms');
-- From the tick to when the run was first due; null: 0.
SET @change = IF(@lacks, 'ALTER TABLE fastjob_run ADD COLUMN jitter_ms BIGINT', 'DO 0');
PREPARE change_run FROM @change;
EXECUTE change_run;
DEALLOCATE PREPARE change_run;
