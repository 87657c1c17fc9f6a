-- What kinds of files the catalog knows from.
SELECT reader, present, missing, left_out, bytes FROM data_sources ORDER BY present DESC, reader
