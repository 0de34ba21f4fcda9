-- An organization goes with its last member, or nobody could ever reach it. With its last administrator's account
-- goes its administration, which falls to whoever has been in it longest.
CREATE OR REPLACE FUNCTION carto_like.iotile_last_member() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    DELETE FROM carto_like.iotile_org o
    WHERE o.id = OLD.org AND NOT EXISTS (SELECT FROM carto_like.iotile_org_member m WHERE m.org = o.id);
    IF OLD.is_org_admin AND NOT EXISTS (SELECT FROM carto_like.iotile_org_member m
                                        WHERE m.org = OLD.org AND m.is_active AND m.is_org_admin) THEN
        UPDATE carto_like.iotile_org_member SET is_org_admin = true, role = 'a1'
        WHERE org = OLD.org AND account = (SELECT m.account FROM carto_like.iotile_org_member m
                                           WHERE m.org = OLD.org AND m.is_active
                                           ORDER BY m.created_on, m.account LIMIT 1);
    END IF;
    RETURN NULL;
END $$;
