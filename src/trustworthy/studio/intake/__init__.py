"""What people upload: chunks, archives and links, until it is an image whose axes are known; no Flask."""
