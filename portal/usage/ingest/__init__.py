"""Ingest: batches from the bus become rows and buckets, each event once; what cannot be counted is quarantined."""
