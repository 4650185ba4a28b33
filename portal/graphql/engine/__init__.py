"""How any operation is treated: bounded, validated, charged, run in one transaction, repeated safely."""
