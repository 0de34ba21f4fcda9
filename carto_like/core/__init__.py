"""The platform-neutral core: transport, resources, managers, paging and errors."""
