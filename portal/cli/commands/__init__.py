"""The commands, one file each: options and output; what they do is in the domains and in portal.runtime."""
