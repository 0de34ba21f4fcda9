-- One import can make several tables, all of them at once.
ALTER TABLE carto_like.imports
    -- Takes the place of planned_oid and planned_name, which say the same of imports of before.
    ADD COLUMN planned_oids oid[],
    ADD COLUMN warnings jsonb;

UPDATE carto_like.imports SET planned_oids = ARRAY[planned_oid] WHERE planned_oid IS NOT NULL;

ALTER TABLE carto_like.imports DROP COLUMN planned_oid, DROP COLUMN planned_name;
