// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Test} from "forge-std/Test.sol";

/// @dev A campaign calls the moves of one handler at random. A handler sends each move as somebody, knows by a small model of its own whether the contract must
/// take it, fails at once if it does otherwise, and after some moves the views are compared with the model.
abstract contract Campaign is Test {
    function target(address handler, bytes4[] memory moves) internal {
        targetContract(handler);
        targetSelector(FuzzSelector({addr: handler, selectors: moves}));
    }
}
