-- What its owners said about a device, those who claim it next need not know, however it was released: by them, or
-- with its organization, which goes with its last member.
CREATE FUNCTION carto_like.iotile_released() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    NEW.project := NULL;
    NEW.claimed_by := NULL;
    NEW.claimed_on := NULL;
    NEW.label := '';
    NEW.external_id := '';
    NEW.lat := NULL;
    NEW.lon := NULL;
    DELETE FROM carto_like.iotile_fleet_device WHERE device = NEW.id;
    DELETE FROM carto_like.iotile_property WHERE target = 'd--' || carto_like.iotile_groups(NEW.id, 16);
    RETURN NEW;
END $$;
CREATE TRIGGER iotile_released BEFORE UPDATE OF org ON carto_like.iotile_device
    FOR EACH ROW WHEN (NEW.org IS NULL) EXECUTE FUNCTION carto_like.iotile_released();

-- Those that were released before.
UPDATE carto_like.iotile_device SET org = NULL WHERE org IS NULL;
