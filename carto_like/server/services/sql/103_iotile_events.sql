-- What a streamer sends twice is kept once; as for readings.
CREATE INDEX iotile_stream_event_local_idx
    ON carto_like.iotile_stream_event (device, variable, streamer_local_id) WHERE streamer_local_id <> 0;
