"""Reading what is inside documents: characters, dates, markup, feeds, structured data. Bytes in, values out; pure."""
