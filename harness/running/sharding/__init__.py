"""One cell's population over several devices: replicas that exchange losses, and nothing of a model's size.

A *leader* runs cells as ever: it asks, tells, scores and stores. Each *follower* holds a *replica* of the
task and of every algorithm, and is sent the same calls with the same losses; since an algorithm is a function
of its seed and its losses, its replica asks for the same population without being sent it, and evaluates a
slice. What a follower does not answer, or answers for another population, the leader evaluates itself: a
follower that dies costs time and no digit.
"""
