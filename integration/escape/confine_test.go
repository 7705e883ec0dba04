package escape

var confineAttacks = []attack{}
