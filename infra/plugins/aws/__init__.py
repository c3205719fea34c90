"""The offline `aws` provider: S3 buckets, their versioning and policies, on any S3-compatible store."""
