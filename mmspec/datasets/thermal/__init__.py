"""Parts of a procedural thermal scene: textures, canvas, ground, objects, families, sensor."""
