"""The offline `aws` provider: a table of resource types over boto3, one row a type, one module a service."""
