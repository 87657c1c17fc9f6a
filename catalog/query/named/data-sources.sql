-- What kinds of files the catalog knows from.
SELECT reader, present, missing, bytes FROM data_sources ORDER BY present DESC, reader
