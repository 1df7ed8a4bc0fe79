"""Security admin rules of Virtual Network Managers: the stage before every NSG."""
