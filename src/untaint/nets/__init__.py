"""Small networks and the one plain fit loop that proxies, victims and recipes share. Needs the extra `torch`."""
