"""`portal doctor`: what is wrong with the settings and services, and how to fix it.

command.py          which things are examined, in which order, and how findings are printed
checks.py           one function for each: PostgreSQL, migrations, Redis, Sentinels, clocks, RabbitMQ, disk, journal
check_quarantine.py usage that could not be counted
check_invoices.py   overdue invoices, and plans whose tariff cannot be billed
"""
