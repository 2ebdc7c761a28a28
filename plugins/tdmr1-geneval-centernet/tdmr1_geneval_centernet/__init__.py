"""A detector of COCO's classes for the reward `geneval`: CenterNet on MobileNet V3, as the npm
package `@vladmandic/human` ships it."""
