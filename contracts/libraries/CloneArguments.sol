// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// @title What stands at the end of an identity's code: its first manager, and its adder or a salt
/// @notice An ERC-1167 clone (45 bytes), the first manager (20), then the adder (20), or the salt (32) of an identity without an adder.
library CloneArguments {
    uint256 private constant CLONE = 45;
    uint256 private constant WITH_ADDER = CLONE + 40;
    uint256 private constant WITH_SALT = CLONE + 52;

    function encode(address manager, address adder) internal pure returns (bytes memory) {
        return abi.encodePacked(manager, adder);
    }

    function encodeSalted(address manager, bytes32 hash) internal pure returns (bytes memory) {
        return abi.encodePacked(manager, hash);
    }

    /// @notice The arguments as they were encoded; empty if `account` has not the size of a clone.
    function read(address account) internal view returns (bytes memory arguments) {
        uint256 size = account.code.length;
        if (size != WITH_ADDER && size != WITH_SALT) return arguments;
        arguments = new bytes(size - CLONE);
        assembly ("memory-safe") {
            extcodecopy(account, add(arguments, 0x20), CLONE, mload(arguments))
        }
    }

    /// @dev Of arguments that were read: zero if they are empty.
    function firstManager(bytes memory arguments) internal pure returns (address) {
        return arguments.length == 0 ? address(0) : _addressAt(arguments, 0);
    }

    /// @dev The salt of a salted identity, zero for others.
    function salt(bytes memory arguments) internal pure returns (bytes32 salt_) {
        if (arguments.length != WITH_SALT - CLONE) return 0;
        assembly ("memory-safe") {
            salt_ := mload(add(arguments, 0x34))
        }
    }

    /// @notice The first manager of this clone.
    function ownFirstManager() internal view returns (address) {
        return _ownAddressAt(CLONE);
    }

    /// @notice The adder of this clone; zero if it has none.
    function ownAdder() internal view returns (address) {
        return address(this).code.length == WITH_ADDER ? _ownAddressAt(CLONE + 20) : address(0);
    }

    function _ownAddressAt(uint256 offset) private view returns (address found) {
        assembly ("memory-safe") {
            mstore(0, 0)
            extcodecopy(address(), 12, offset, 20)
            found := mload(0)
        }
    }

    function _addressAt(bytes memory arguments, uint256 offset) private pure returns (address found) {
        assembly ("memory-safe") {
            found := shr(96, mload(add(add(arguments, 0x20), offset)))
        }
    }
}
