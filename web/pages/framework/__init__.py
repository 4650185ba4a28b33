"""What every page is made of: its document, template, form, filters and charts."""
